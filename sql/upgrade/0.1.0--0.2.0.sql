-- guardrail: made from sql/upgrade and sql/parts by make; edit there.
\echo Use "ALTER EXTENSION guardrail UPDATE TO '0.2.0'" to load this file. \quit

