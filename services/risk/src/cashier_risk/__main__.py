"""The command line: `python -m cashier_risk serve|work|migrate`."""

from cashier_common.service import cli
from cashier_risk.settings import RiskSettings

main = cli("risk", settings=RiskSettings)

if __name__ == "__main__":
    main()
