# shellcheck shell=bash
# What deploy-charts-minikube.sh and deploy-charts-cluster.sh share. To be sourced.

namespace=kontor
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
scratch=$(cd "$(mktemp -d)" && pwd -P)
trap 'rm -rf "$scratch"' EXIT

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { echo "$tool is needed, and is not here" >&2; exit 1; }
    done
}

refuse() {
    echo "$1 Nothing was applied." >&2
    exit 1
}

# choose_access DEFAULT: sets `access` to open or closed, as KONTOR_OPEN and KONTOR_AUTH say, else to DEFAULT. It ends the script if what
# they say cannot be done, or if nothing is said and there is no default.
choose_access() {
    access=$1
    # Who closed a shop once does not open it by leaving out a variable.
    if [ "$access" = open ] && kubectl -n $namespace get secret tokens >/dev/null 2>&1; then access=; fi
    if [ -n "${KONTOR_AUTH:-}" ]; then
        access=closed
        [ -z "${KONTOR_OPEN:-}" ] || refuse "KONTOR_OPEN and KONTOR_AUTH exclude each other."
        grep -qs sha256: "$KONTOR_AUTH" || refuse "KONTOR_AUTH=$KONTOR_AUTH is no file with a token: make one with \`kontor token new\`."
        [ -n "${KONTOR_TRUSTED_PROXIES:-}" ] ||
            refuse "KONTOR_AUTH needs KONTOR_TRUSTED_PROXIES: the network of the pods, such as 10.244.0.0/16, which has the gateway's addresses."
    elif [ "${KONTOR_OPEN:-}" = yes ]; then
        access=open
    elif [ -n "${KONTOR_OPEN:-}" ] || [ -z "$access" ]; then
        refuse "Choose who may use the shop: KONTOR_AUTH=FILE (a token file) and KONTOR_TRUSTED_PROXIES=NETWORK (of the pods) for those who \
bear a token, or KONTOR_OPEN=yes for everybody who reaches it, who can then make stock and credit."
    fi
}

# Draws the secrets that are not there yet. They are never replaced.
make_secrets() {
    kubectl apply -f "$root/k8s/base/namespace.yaml"
    local name
    for name in shop:secret redis-order:password,admin redis-payment:password,admin redis-stock:password,admin; do
        if kubectl -n $namespace get secret "${name%:*}" >/dev/null 2>&1; then continue; fi
        mkdir "$scratch/${name%:*}"
        local key
        for key in $(tr , ' ' <<<"${name#*:}"); do "$root/deploy/make-secrets" "$scratch/${name%:*}/$key"; done
        kubectl -n $namespace create secret generic "${name%:*}" --from-file="$scratch/${name%:*}"
    done
}

# What is applied: an overlay, closed if that was chosen.
write_overlay() {
    # kustomize takes no absolute paths.
    local up
    up=$(tr -cd / <<<"$scratch/overlay" | sed 's|/|../|g')${root#/}
    mkdir -p "$scratch/overlay"
    cat >"$scratch/overlay/kustomization.yaml" <<END
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: $namespace
resources: [$up/k8s/overlays/$1]
END
    [ "$access" = closed ] || return 0
    cat >>"$scratch/overlay/kustomization.yaml" <<END
components: [$up/k8s/components/closed]
configMapGenerator:
  - {name: service, behavior: merge, literals: ["KONTOR_TRUSTED_PROXIES=$KONTOR_TRUSTED_PROXIES"]}
  - {name: gateway, behavior: merge, literals: ["GATEWAY_TRUSTED_PROXIES=$KONTOR_TRUSTED_PROXIES"]}
END
    kubectl -n $namespace create secret generic tokens --from-file="tokens=$KONTOR_AUTH" --dry-run=client -o yaml | kubectl apply -f -
}

# deploy OVERLAY IMAGE: applies it, and waits until everything runs.
deploy() {
    write_overlay "$1"
    # A job cannot be changed, and these have nothing to do a second time.
    kubectl -n $namespace delete job init redis-cluster --ignore-not-found
    kubectl kustomize "$scratch/overlay" | sed "s|image: kontor:local\$|image: $2|" | kubectl apply -f -
    kubectl -n $namespace wait --for=condition=complete job/init --timeout=15m
    local name
    for name in order payment stock gateway; do kubectl -n $namespace rollout status "deployment/$name" --timeout=10m; done
}
