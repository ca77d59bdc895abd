"""Commands that run and watch a service on one machine, beside those of ``workers.cli``."""

from pipeline.cli import (
    ConfigOption,
    LedgerOption,
    app,
    complaints,
    ledger_place,
    site_configuration,
)
from workers.logs import set_up_logs
from workers.options import BrokerOption, served_by


@app.command("monitor")
def monitor_command(
    *, broker: BrokerOption = None, config: ConfigOption = None, ledger_url: LedgerOption = None
) -> None:
    """Serve /metrics, /healthz and /readyz until told to end; see [monitoring] of the settings."""
    from workers.endpoint import run_endpoint

    with complaints():
        settings = served_by(site_configuration(config, ledger_url=ledger_url), broker)
        set_up_logs(settings.monitoring.log)
        run_endpoint(settings, ledger_place(settings))
