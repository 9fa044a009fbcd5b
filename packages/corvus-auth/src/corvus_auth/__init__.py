"""SPF, DMARC, Authentication-Results, SASL and passwords."""
