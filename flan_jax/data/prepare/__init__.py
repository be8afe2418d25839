"""From sources to the token store, in one process, several, or on Apache Beam; and opening what is there."""
