"""The DynamoDB table: alerts, subject states, deliveries, silences."""
