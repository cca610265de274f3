-- guardrail: made from sql/upgrade and sql/parts by make; edit there.
\echo Use "ALTER EXTENSION guardrail UPDATE TO '0.2.0'" to load this file. \quit

-- Copyright (C) 2026 the guardrail developers. GPL-3.0-or-later.

COMMENT ON FUNCTION guardrail_launch(text) IS 'set a draft running: checks its plan whole, registers it in guardrail_plan, and freezes it';
