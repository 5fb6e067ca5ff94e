# shellcheck shell=bash
# What deploy-charts-minikube.sh and deploy-charts-cluster.sh share. To be sourced.

namespace=kontor
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { echo "$tool is needed, and is not here" >&2; exit 1; }
    done
}

# Draws the secrets that are not there yet. They are never replaced.
make_secrets() {
    kubectl apply -f "$root/k8s/base/namespace.yaml"
    local scratch
    scratch=$(mktemp -d)
    # shellcheck disable=SC2064 # this directory, now
    trap "rm -rf '$scratch'" EXIT
    local name
    for name in shop:secret redis-order:password,admin redis-payment:password,admin redis-stock:password,admin; do
        if kubectl -n $namespace get secret "${name%:*}" >/dev/null 2>&1; then continue; fi
        mkdir "$scratch/${name%:*}"
        local key
        for key in $(tr , ' ' <<<"${name#*:}"); do "$root/deploy/make-secrets" "$scratch/${name%:*}/$key"; done
        kubectl -n $namespace create secret generic "${name%:*}" --from-file="$scratch/${name%:*}"
    done
}

# deploy OVERLAY IMAGE: applies it, and waits until everything runs.
deploy() {
    # A job cannot be changed, and these have nothing to do a second time.
    kubectl -n $namespace delete job init redis-cluster --ignore-not-found
    kubectl kustomize "$root/k8s/overlays/$1" | sed "s|image: kontor:local\$|image: $2|" | kubectl apply -f -
    kubectl -n $namespace wait --for=condition=complete job/init --timeout=15m
    local name
    for name in order payment stock gateway; do kubectl -n $namespace rollout status "deployment/$name" --timeout=10m; done
}
