"""From tables to figures, as SVG with words for those who do not see them."""
