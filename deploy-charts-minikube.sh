#!/usr/bin/env bash
# Starts the shop on minikube, or brings it up to date: builds the image there, draws the secrets, applies k8s/overlays/minikube.
#   minikube start --cni=calico      first; a network plugin that knows NetworkPolicies
#   ./deploy-charts-minikube.sh
# The shop is open, unless KONTOR_AUTH and KONTOR_TRUSTED_PROXIES close it: deploy-charts-cluster.sh tells what they are.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=k8s/deploy.sh
source k8s/deploy.sh

choose_access open
need minikube kubectl
minikube status >/dev/null || { echo "Start it first: minikube start --cni=calico" >&2; exit 1; }
minikube addons enable ingress
# The autoscalers ask it.
minikube addons enable metrics-server
# Named by its content, so that a changed image is rolled out.
version=$(git describe --always --dirty 2>/dev/null || echo local)
minikube image build -t "kontor:$version" .
make_secrets
deploy minikube "kontor:$version"
echo "The shop serves on http://$(minikube ip)"
