SELECT count(*) FROM :table WHERE experiment_id = :'experiment';
