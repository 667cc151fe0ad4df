"""`deploy/kubernetes`, built by the real kustomize: the Kubernetes API takes it, and it agrees with
the configuration that the pods run with, with itself, and with the image."""

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from service import settings
from service.address import split_address
from service.settings import Settings
from tests.cli.run import run
from tests.deploy.kubernetes import BUILDS, Built, quantity
from tests.deploy.manifests import DEPLOY

OLDEST = "1.31"
"""`preStop.sleep` and `unhealthyPodEvictionPolicy` need a feature gate before 1.30."""
MIB = 1024.0**2
PROCESS_BYTES = 150 * MIB
"""Python, its modules and SQLite, with nothing waiting."""
STOP_SECONDS = 20
"""What stopping may take beside `shutdown_timeout` (service/receiver.py, service/outlet.py)."""


@pytest.fixture(params=BUILDS)
def built(request: pytest.FixtureRequest) -> Built:
    return Built(request.param)


def loaded(built: Built, tmp_path: Path) -> Settings:
    """With files of its own in the place of those that Secrets bring."""
    secrets = tmp_path / "secrets"
    (secrets / "mailfault-nats").mkdir(parents=True)
    (secrets / "mailfault-nats" / "password").write_text("hush\n")
    file = tmp_path / "mailfault.toml"
    file.write_text(built.toml.replace("/run/secrets", str(secrets)))
    return settings.load(file)


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
def test_the_kubernetes_api_takes_each_object(built: Built, version: str) -> None:
    kinds = set()
    for one in built.all:
        if one["kind"] == "ServiceMonitor":
            continue  # no part of the API; below
        used = kubernetes_validate.validate(one, version, strict=True)
        assert version.startswith(used), "not an older one for want of it"
        kinds.add(one["kind"])
    assert kinds == {
        "ConfigMap",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
        "StatefulSet",
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "replicas"), "two"),
        (("spec", "replica"), 2),
        (("spec", "template", "spec", "containers", 0, "readinesProbe"), {}),
        (("spec", "template", "spec", "securityContext", "runAsUser"), "root"),
    ],
)
def test_it_would_not_take_this(path: tuple[str | int, ...], value: object) -> None:
    broken = deepcopy(Built("base").only("StatefulSet"))
    place: Any = broken
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, OLDEST, strict=True)


def test_check_config_takes_what_the_pods_run_with(built: Built, tmp_path: Path) -> None:
    loaded(built, tmp_path)
    done = run("check-config", "--config", tmp_path / "mailfault.toml")
    assert done.returncode == 0
    for line in done.stderr.splitlines():  # of Secrets that only the pods have
        assert re.fullmatch(rb"warning: nats\.\w+_file: \S+: No such file or directory", line)
    assert b"hush" not in done.stdout
    shown = json.loads(done.stdout)
    assert shown["sharing"]["enabled"] is True
    assert shown["nats"]["inbox_prefix"] == "_INBOX_mailfault"


def test_the_files_it_names_are_mounted(built: Built) -> None:
    named = re.findall(r'^(\w+) = "(/[^"]+)"$', built.toml, re.MULTILINE)
    mounts = {mount["mountPath"]: mount for mount in built.container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in built.pod["volumes"]}
    claims = built.only("StatefulSet")["spec"]["volumeClaimTemplates"]
    volumes |= {claim["metadata"]["name"]: claim for claim in claims}
    assert {mount["name"] for mount in mounts.values()} == volumes.keys()
    assert len(named) >= 2
    for setting, path in named:
        (mount,) = (m for at, m in mounts.items() if path == at or path.startswith(f"{at}/"))
        volume = volumes[mount["name"]]
        if setting == "data_dir":
            assert "volumeClaimTemplates" not in volume
            assert mount["name"] in {claim["metadata"]["name"] for claim in claims}
            assert not mount.get("readOnly")
        else:
            assert "secret" in volume, "secrets come by files of Secrets, and by nothing else"
            assert mount["readOnly"]


def test_the_configuration_is_the_config_map_that_is_mounted(built: Built) -> None:
    (volume,) = (v for v in built.pod["volumes"] if "configMap" in v)
    assert volume["configMap"]["name"] == built.only("ConfigMap")["metadata"]["name"]
    assert re.fullmatch(r"mailfault-\w{10}", volume["configMap"]["name"]), "a hash: it rolls"
    (mount,) = (m for m in built.container["volumeMounts"] if m["name"] == volume["name"])
    assert built.container["args"] == ["serve", "--config", f"{mount['mountPath']}/mailfault.toml"]


def test_ports_are_those_that_it_listens_on(built: Built, tmp_path: Path) -> None:
    found = loaded(built, tmp_path)
    listens = {
        *(("UDP", split_address(address)[1]) for address in found.udp.listen),
        *(("TCP", split_address(address)[1]) for address in found.tcp.listen),
        *(("TCP", split_address(address)[1]) for address in found.relp.listen),
        ("TCP", split_address(found.http.listen)[1]),
    }
    ports = built.container["ports"]
    assert {(port["protocol"], port["containerPort"]) for port in ports} == listens
    assert len({port["name"] for port in ports}) == len(ports) == 4


def selected(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return bool(selector) and selector.items() <= labels.items()


def test_selectors_select_the_pods_and_services_their_ports(built: Built) -> None:
    labels = built.only("StatefulSet")["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"]: port["protocol"] for port in built.container["ports"]}
    for service in (built.only("Service", "mailfault"), built.only("Service", "mailfault-pods")):
        assert selected(service["spec"]["selector"], labels)
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["protocol"]
    for selector in (
        built.only("StatefulSet")["spec"]["selector"],
        built.only("PodDisruptionBudget")["spec"]["selector"],
        built.only("NetworkPolicy")["spec"]["podSelector"],
        *(rule["labelSelector"] for rule in built.pod["topologySpreadConstraints"]),
    ):
        assert selected(selector["matchLabels"], labels)
    assert built.only("StatefulSet")["spec"]["serviceName"] == "mailfault-pods"
    assert built.only("Service", "mailfault-pods")["spec"]["clusterIP"] == "None"


def test_senders_come_in_on_all_transports_with_their_addresses(built: Built) -> None:
    spec = built.only("Service", "mailfault")["spec"]
    assert spec["type"] == "LoadBalancer"
    assert spec["externalTrafficPolicy"] == "Local"
    assert [(port["protocol"], port["port"]) for port in spec["ports"]] == [
        ("UDP", 5514),
        ("TCP", 5514),
        ("TCP", 2514),
    ]


def test_the_network_policy_lets_in_and_out_what_is_needed_and_no_more(
    built: Built, tmp_path: Path
) -> None:
    spec = built.only("NetworkPolicy")["spec"]
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    names = {port["name"]: port["protocol"] for port in built.container["ports"]}
    allowed = [
        (port["port"], port["protocol"]) for rule in spec["ingress"] for port in rule["ports"]
    ]
    assert sorted(allowed) == sorted(names.items()), "each port once"
    senders, prometheus = spec["ingress"]
    assert all(peer.keys() == {"ipBlock"} for peer in senders["from"])
    assert [port["port"] for port in prometheus["ports"]] == ["http"]
    nats, dns = spec["egress"]
    (server,) = loaded(built, tmp_path).nats.servers
    host, _, port = server.partition("://")[2].rpartition(":")
    assert nats["ports"] == [{"protocol": "TCP", "port": int(port)}]
    (peer,) = nats["to"]
    namespace = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert host == f"nats.{namespace}.svc.cluster.local"
    # Not ours among them, which would let nothing out.
    assert dns["to"][0]["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
    assert {(port["protocol"], port["port"]) for port in dns["ports"]} == {("UDP", 53), ("TCP", 53)}


def test_pods_fit_the_restricted_standard_with_a_root_that_is_read_only(built: Built) -> None:
    pod, container = built.pod, built.container
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not any("hostPort" in port for port in container["ports"])
    kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
    assert kinds <= {"configMap", "secret", "emptyDir"}
    assert pod["automountServiceAccountToken"] is False
    assert built.only("ServiceAccount")["metadata"]["name"] == pod["serviceAccountName"]
    assert "env" not in container, "no secret in the environment"


def test_it_is_the_user_of_the_image(built: Built) -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    user = re.search(r"^USER (\d+):(\d+)$", dockerfile, re.MULTILINE)
    assert user is not None
    context = built.pod["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (int(user[1]), int(user[2]))
    assert context["fsGroup"] == int(user[2]), "who may write to the volume"


def test_probes_ask_the_http_port_and_only_readiness_depends_on_nats(built: Built) -> None:
    asked = {
        name: (built.container[f"{name}Probe"]["httpGet"]["path"])
        for name in ("startup", "liveness", "readiness")
    }
    assert asked == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    for name in asked:
        assert built.container[f"{name}Probe"]["httpGet"]["port"] == "http"


def test_there_is_time_to_stop(built: Built, tmp_path: Path) -> None:
    found = loaded(built, tmp_path)
    grace = built.pod["terminationGracePeriodSeconds"]
    before = built.container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert grace >= before + found.shutdown_timeout + STOP_SECONDS


def test_the_bounds_fit_into_memory_and_disk(built: Built, tmp_path: Path) -> None:
    found = loaded(built, tmp_path)
    resources = built.container["resources"]
    most = (
        PROCESS_BYTES
        + 2 * found.queue.max_bytes  # towards NATS, towards the disk
        + 2 * found.correlation.max_bytes  # messages, deferred recipients
        + found.nats.window_bytes
        + 2 * 200 * found.pipeline.remembered_lines
    )
    assert most < quantity(resources["limits"]["memory"])
    assert quantity(resources["requests"]["memory"]) <= quantity(resources["limits"]["memory"])
    assert "cpu" not in resources["limits"]
    (claim,) = built.only("StatefulSet")["spec"]["volumeClaimTemplates"]
    disk = quantity(claim["spec"]["resources"]["requests"]["storage"])
    assert found.spool.max_bytes * 1.5 + found.correlation.max_bytes < disk
    retention = built.only("StatefulSet")["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert set(retention.values()) == {"Retain"}


def test_one_pod_at_a_time_may_be_taken_away(built: Built) -> None:
    budget = built.only("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert built.only("StatefulSet")["spec"]["replicas"] >= 2


def test_the_service_monitor_finds_the_metrics_as_the_alerts_expect_them() -> None:
    """Its schema comes with no package: each field that it may have is named here."""
    built = Built("overlays/example")
    monitor = built.only("ServiceMonitor")
    assert monitor.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    spec = monitor["spec"]
    assert spec.keys() == {"jobLabel", "selector", "endpoints"}
    found = [
        one
        for one in built.all
        if one["kind"] == "Service"
        and selected(spec["selector"]["matchLabels"], one["metadata"]["labels"])
    ]
    (service,) = found
    assert spec["selector"].keys() == {"matchLabels"}
    assert monitor["metadata"]["namespace"] == service["metadata"]["namespace"]
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["metadata"]["labels"][spec["jobLabel"]] == "mailfault", "the name of the job"
    (endpoint,) = spec["endpoints"]
    assert endpoint.keys() == {"port", "path", "interval", "scrapeTimeout"}
    assert endpoint["path"] == "/metrics"
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    seconds = [endpoint[name] for name in ("interval", "scrapeTimeout")]
    assert all(re.fullmatch(r"[0-9]+s", one) for one in seconds)
    interval, timeout = (int(one[:-1]) for one in seconds)
    assert timeout <= interval, "Prometheus takes no longer one"


def test_the_overlay_says_what_the_base_does_not_know() -> None:
    built = Built("overlays/example")
    assert {one["metadata"]["namespace"] for one in built.all} == {"mailfault"}
    assert built.container["image"] == "registry.example.net/mailfault:1.0.0"
    assert built.only("StatefulSet")["spec"]["replicas"] == 3
    assert len(built.container["ports"]) == 4, "two of one number are two"
    allowed = built.only("Service", "mailfault")["spec"]["loadBalancerSourceRanges"]
    senders = built.only("NetworkPolicy")["spec"]["ingress"][0]["from"]
    assert [peer["ipBlock"]["cidr"] for peer in senders] == allowed
    for table in ("udp", "tcp", "relp"):
        assert f"[{table}]" in built.toml
    assert built.toml.count(f"allow = {json.dumps(allowed)}") == 3
