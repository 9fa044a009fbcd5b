"""Mail to outside: submission, the queue, routing, delivery, bounces."""
