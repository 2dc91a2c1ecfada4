"""The page: Gradio only. Layout and wiring; what happens behind a button lives in the services."""
