"""`python -m router` is `ecs-alert-router`."""

from router.cli import main

if __name__ == "__main__":
    main()
