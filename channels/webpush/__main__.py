"""Make a VAPID key: python -m channels.webpush, into a file that only the daemon reads."""

import sys

from cryptography.hazmat.primitives.asymmetric import ec

from channels.webpush.base64url import encoded

number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
sys.stdout.write(encoded(number.to_bytes(32)) + "\n")
