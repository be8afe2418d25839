"""Task clusters and mixtures: data and templates only. The registry imports every module here when first asked."""
