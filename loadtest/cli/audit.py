"""`singlesday audit`: a run's books against the service's database."""

from rich.console import Console

from loadtest.measure.run_result import Audit
from loadtest.publish.wording import audit_findings


def print_audit(audit: Audit, console: Console) -> None:
    """Print the books side by side and, if they differ, how."""
    console.print(
        f"{audit.acknowledged:,} orders acknowledged, {audit.stored:,} stored, {audit.unknown:,} unanswered"
    )
    for finding in audit_findings(audit) if not audit.balanced else ["the books are balanced"]:
        console.print(finding, soft_wrap=True)
