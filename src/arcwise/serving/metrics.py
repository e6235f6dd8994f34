"""What a server counts, for Prometheus; of each gallery only for those whose key opens it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric

from arcwise.gallery import GallerySize

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_IMAGES = (1, 2, 4, 8, 16, 32, 64)
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class ServerMetrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        by = {"registry": self._registry}
        self.requests = Counter(
            "arcwise_requests", "Requests answered.", ("gallery", "route", "status"), **by
        )
        self.seconds = Histogram(
            "arcwise_request_seconds",
            "Time from the head of a request to its answer.",
            ("gallery", "route"),
            buckets=_SECONDS,
            **by,
        )
        self.images = Counter("arcwise_images", "Images received.", ("gallery",), **by)
        self.answers = Counter(
            "arcwise_answers", "Queries decided on.", ("gallery", "decision"), **by
        )
        self.identities = Gauge("arcwise_identities", "Identities enrolled.", ("gallery",), **by)
        self.templates = Gauge("arcwise_templates", "Templates enrolled.", ("gallery",), **by)
        self.outgrown = Gauge(
            "arcwise_outgrown",
            "1 where the gallery has outgrown its calibration.",
            ("gallery",),
            **by,
        )
        self.ready = Gauge("arcwise_ready", "1 where the gallery answers.", ("gallery",), **by)
        self.batches = Histogram(
            "arcwise_batch_images", "Images of each call of a model.", buckets=_IMAGES, **by
        )
        self.running = Gauge("arcwise_requests_running", "Requests that wait for an answer.", **by)
        memory = Gauge("arcwise_resident_bytes", "Memory of the process.", **by)
        memory.set_function(resident_bytes)

    def measure(self, gallery: str, size: GallerySize | None, outgrown: bool) -> None:
        """Note how much is enrolled; None where the gallery does not answer."""
        self.ready.labels(gallery).set(size is not None)
        if size is None:
            for gauge in (self.identities, self.templates, self.outgrown):
                with contextlib.suppress(KeyError):
                    gauge.remove(gallery)
            return
        self.identities.labels(gallery).set(size.identities)
        self.templates.labels(gallery).set(size.templates)
        self.outgrown.labels(gallery).set(outgrown)

    def text(self, visible: Callable[[str], bool], *, process: bool) -> bytes:
        """Return the counters as Prometheus reads them.

        Args:
            visible: whether the counters of a gallery are shown.
            process: whether those of no gallery are.
        """
        return generate_latest(_Visible(self._registry, visible, process))


class _Visible(CollectorRegistry):
    """The part of a registry that may be seen."""

    def __init__(
        self, registry: CollectorRegistry, visible: Callable[[str], bool], process: bool
    ) -> None:
        super().__init__()
        self._all, self._visible, self._process = registry, visible, process

    def collect(self) -> Iterator[Metric]:
        for metric in self._all.collect():
            samples = [
                one
                for one in metric.samples
                if self._may_see(one.labels.get("gallery")) and not one.name.endswith("_created")
            ]
            if samples:
                shown = Metric(metric.name, metric.documentation, metric.type, metric.unit)
                shown.samples = samples
                yield shown

    def _may_see(self, gallery: str | None) -> bool:
        return self._process if not gallery else self._visible(gallery)


def resident_bytes() -> float:
    """Return the memory that the process holds; its largest where the system says no more."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return float(file.read().split()[1]) * _PAGE
    except OSError:
        import resource  # which Windows has not

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(most) * (1 if sys.platform == "darwin" else 1024)
