"""The after-action report: facts out of the journal, as a page, a document, a drawing or data."""
