"""Fine-tuning as jobs that outlive the browser: presets, preflight, queue, supervisor, curves, adapters."""
