# Sourced by the scripts beside it: the program, a scratch folder, and a model whose step takes a fraction
# of a second.
BIN=$(realpath "${BIN:-target/release/dp-sims}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/weights"
tiny=(--no-tui --backend flex --weights "$scratch/weights"
    --set data.height=32 --set data.width=32 --set data.scenes=8 --set run.batch=2
    --set run.preview_rows=1 --set run.preview_samples=1 --set generator.base_width=2
    --set generator.tokens=4 --set generator.mapping_width=16 --set generator.latent_dim=8
    --set 'generator.encoder_channels=[8, 8, 8, 8, 8, 8, 8]'
    --set 'discriminator.decoder_channels=[16, 16, 16, 16, 8]'
    --set discriminator.full_resolution_channels=8 --set ema.refresh_batches=1
    --set loss.contrastive.loss.dim=16)
