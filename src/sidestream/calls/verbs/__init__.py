"""The verbs, one file each: `run(verb, interpreter)` does it and says what comes next. All can be cancelled."""
