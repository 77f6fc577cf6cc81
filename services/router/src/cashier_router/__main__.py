"""`python -m cashier_router serve | work | migrate`."""

from cashier_common.service import cli
from cashier_router.app import build
from cashier_router.settings import RouterSettings

main = cli("router", build, settings=RouterSettings)

if __name__ == "__main__":
    main()
