-- One more event for each hundred that :table has, and room for the next.
INSERT INTO :cursor SELECT * FROM :table ORDER BY ctid OFFSET :run * :more LIMIT :more;
