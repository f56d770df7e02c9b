"""An audit in the formats of other tools, and as a page. Each module has one `render`."""
