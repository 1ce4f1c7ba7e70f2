"""``jobq approve``: an admin's yes to what a plan disrupts."""

from cli import clock, console, options
from cli.catalogue import who_am_i
from cli.connection import connect
from cli.operator.digests import digest_of
from reconciler.administration import approve as stage
from reconciler.notes import APPROVAL_DAYS

EXAMPLES = """
  jobq approve 3f9a2c71d04be856
"""


def approve(digest: options.Digest, *, kubeconfig: options.Kubeconfig = "", context: options.Context = "") -> None:
    """Approve what the plan of this digest disrupts: the next reconcile of exactly that goes on, whoever starts it.

    It is noted in the cluster with your own rights and name, and holds for some days. Only who may write there can
    approve: an admin, and never the reconciler itself.
    """
    digest = digest_of(digest)
    cluster = connect(kubeconfig=kubeconfig, context=context)
    standing = stage.approve(cluster, digest, who_am_i(cluster).name, clock.now())
    mine = next(each for each in standing if each.digest == digest)
    console.out(f"approved on {cluster.address} for {APPROVAL_DAYS} days: {mine}")
    for other in standing:
        if other.digest != digest:
            console.talk(f"also approved: {other}")
