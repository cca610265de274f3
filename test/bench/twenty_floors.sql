DO $$
BEGIN
  FOR n IN 1 .. 20 LOOP
    PERFORM count(*) FROM events_10_of_20 WHERE experiment_id = 'events_10_of_20 ' || n;
  END LOOP;
END $$;
