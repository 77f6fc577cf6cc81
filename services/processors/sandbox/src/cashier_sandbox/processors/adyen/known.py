"""The fields that Adyen documents and the sandbox takes without using them."""

from __future__ import annotations

# From the schemas PaymentRequest, CardDetails and PaymentCaptureRequest … of Checkout v71, and
# PayoutRequest of Payout v68. What is in none of these lists is refused, as Adyen does.
PAYMENT = frozenset(
    {
        "accountInfo",
        "additionalAmount",
        "applicationInfo",
        "billingAddress",
        "browserInfo",
        "channel",
        "checkoutAttemptId",
        "company",
        "conversionId",
        "countryCode",
        "dateOfBirth",
        "dccQuote",
        "deliverAt",
        "deliveryAddress",
        "deliveryDate",
        "deviceFingerprint",
        "enableOneClick",
        "enablePayOut",
        "enableRecurring",
        "entityType",
        "fraudOffset",
        "fundOrigin",
        "fundRecipient",
        "industryUsage",
        "installments",
        "lineItems",
        "localizedShopperStatement",
        "mandate",
        "mcc",
        "merchantOrderReference",
        "merchantRiskIndicator",
        "mpiData",
        "orderReference",
        "origin",
        "platformChargebackLogic",
        "recurringExpiry",
        "recurringFrequency",
        "redirectFromIssuerMethod",
        "redirectToIssuerMethod",
        "riskData",
        "sessionValidity",
        "shopperEmail",
        "shopperIP",
        "shopperLocale",
        "shopperName",
        "shopperStatement",
        "socialSecurityNumber",
        "splits",
        "store",
        "storePaymentMethod",
        "telephoneNumber",
        "threeDS2RequestData",
        "threeDSAuthenticationOnly",
        "trustedShopper",
    }
)
CARD = frozenset(
    {
        "brand",
        "checkoutAttemptId",
        "encryptedExpiryMonth",
        "encryptedExpiryYear",
        "encryptedSecurityCode",
        "fundingSource",
        "holderName",
        "networkPaymentReference",
        "shopperNotificationReference",
        "threeDS2SdkVersion",
    }
)
MODIFICATION = frozenset(
    {
        "applicationInfo",
        "lineItems",
        "merchantRefundReason",
        "platformChargebackLogic",
        "splits",
        "store",
        "subMerchants",
    }
)
PAYOUT = frozenset(
    {
        "billingAddress",
        "fraudOffset",
        "fundSource",
        "recurring",
        "shopperEmail",
        "shopperInteraction",
        "shopperName",
        "shopperReference",
        "telephoneNumber",
    }
)
