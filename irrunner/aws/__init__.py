"""Everything that touches boto3: sessions, the call seam, errors, pacing."""
