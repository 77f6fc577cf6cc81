"""`python -m cashier_gateway serve|work|migrate`."""

from cashier_common.service import cli
from cashier_gateway.app import build
from cashier_gateway.settings import GatewaySettings

main = cli("gateway", build, settings=GatewaySettings)

if __name__ == "__main__":
    main()
