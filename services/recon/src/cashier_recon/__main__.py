"""`python -m cashier_recon serve | work | migrate`."""

from cashier_common.service import cli
from cashier_recon.settings import ReconSettings

main = cli("recon", settings=ReconSettings)

if __name__ == "__main__":
    main()
