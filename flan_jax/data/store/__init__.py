"""The token store on disk: records, shards, the manifest written last, folders that appear whole."""
