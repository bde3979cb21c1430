"""Every word a model is told or a candidate is read: Markdown files by language, plans as YAML."""
