"""How ECS alerts are sent today, written as people write it. Nobody should copy any of these."""
