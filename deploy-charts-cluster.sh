#!/usr/bin/env bash
# Starts the shop on a Kubernetes cluster, or brings it up to date: the Ingress controller (its chart, with helm-config/), the
# secrets, and k8s/overlays/cluster. kubectl must point to the cluster, and the image must be where its machines can pull it:
#   docker build -t registry.example/kontor:1 . && docker push registry.example/kontor:1
#   KONTOR_IMAGE=registry.example/kontor:1 KONTOR_AUTH=tokens KONTOR_TRUSTED_PROXIES=10.244.0.0/16 ./deploy-charts-cluster.sh
# Nothing is applied before somebody chooses. Closed: KONTOR_AUTH is a token file (kontor token new), KONTOR_TRUSTED_PROXIES the network of
# the pods, where the gateway and the Ingress controller are. Open to everybody who reaches it, for a course: KONTOR_OPEN=yes instead.
# KONTOR_INGRESS=keep leaves the Ingress controller alone.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=k8s/deploy.sh
source k8s/deploy.sh

image=${KONTOR_IMAGE:?the image of the shop, as the machines of the cluster pull it: see the head of this script}
choose_access ""
need kubectl
if [ "${KONTOR_INGRESS:-install}" != keep ]; then
    need helm
    helm upgrade --install ingress-nginx ingress-nginx --repo https://kubernetes.github.io/ingress-nginx \
        --namespace ingress-nginx --create-namespace --values helm-config/nginx-helm-values.yaml --wait --timeout 10m
fi
make_secrets
deploy cluster "$image"
kubectl -n kontor get ingress shop
echo "The shop is $access."
