-- One more event for each hundred that :table has, and room for the next.
SET synchronize_seqscans = off;
INSERT INTO :cursor SELECT * FROM :table OFFSET :run * :more LIMIT :more;
