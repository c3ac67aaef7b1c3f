"""Actions on EKS clusters: through AWS, and through the API of Kubernetes."""
