"""`python -m cashier_router serve | work | migrate`."""

from cashier_common.service import cli
from cashier_router.settings import RouterSettings

main = cli("router", settings=RouterSettings)

if __name__ == "__main__":
    main()
