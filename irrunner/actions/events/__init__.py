"""Actions of EventBridge."""
