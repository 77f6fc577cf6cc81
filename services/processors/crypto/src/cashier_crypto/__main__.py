"""`python -m cashier_crypto serve | work | migrate`."""

from cashier_common.service import cli
from cashier_crypto.app import build
from cashier_crypto.settings import CryptoSettings

main = cli("crypto", build, settings=CryptoSettings)

if __name__ == "__main__":
    main()
