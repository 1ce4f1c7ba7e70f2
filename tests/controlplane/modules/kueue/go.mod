module jobq/controlplane/kueue

go 1.26.0

require sigs.k8s.io/kueue v0.19.2

require (
	k8s.io/kube-openapi v0.0.0-20260624041617-8f3fa4921821
	k8s.io/kubernetes v1.36.3
)
