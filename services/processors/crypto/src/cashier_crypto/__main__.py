"""`python -m cashier_crypto serve | work | migrate`."""

from cashier_common.service import cli
from cashier_crypto.settings import CryptoSettings

main = cli("crypto", settings=CryptoSettings)

if __name__ == "__main__":
    main()
