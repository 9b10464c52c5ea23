"""RFC 3261 §17 transactions with the corrections of RFC 6026: four machines and the layer that owns them."""
