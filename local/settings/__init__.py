"""Settings of hparams/*.yaml: what each may be, and what a command line says of them."""
