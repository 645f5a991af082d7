"""The service as the RL-IDS document starts it: ``python run_api.py``."""

from __future__ import annotations

from api.api_server import main

if __name__ == "__main__":
    main()
