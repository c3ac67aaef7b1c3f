"""Actions on ECR repositories and images."""
