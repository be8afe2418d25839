"""The bundled starter tasks, one file a cluster: made from facts and grammars of our own, with no copied sentence."""
