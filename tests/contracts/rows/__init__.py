"""The table of scenarios, one module for each family of actions; `tests.contracts.table` gathers them."""
