"""`python -m ecs_alert_router` is `ecs-alert-router`."""

from router.__main__ import main

if __name__ == "__main__":
    main()
