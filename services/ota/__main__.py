"""`python -m services.ota`: apps and firmware, from a .bin to a device."""

import sys

import uvicorn

from services.ota.cut_off import CutOff
from services.ota.factory import create_app
from services.ota.settings import OtaSettings
from shared.logs import configure_logging
from shared.settings import Misconfigured, load_settings

STOP_SECONDS = 8  # downloads that run may end; then the process does
# Longer than clients and proxies keep a connection that they do not use: where this side ends it, a
# call that comes at that moment is lost.
KEEP_ALIVE_SECONDS = 75


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    try:
        settings = load_settings(OtaSettings)
    except Misconfigured as error:
        sys.exit(str(error))
    configure_logging("ota", settings.log_level)
    uvicorn.run(
        CutOff(create_app(settings)),
        host=settings.bind,
        port=settings.ota_port,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


if __name__ == "__main__":
    main()
