"""Everything that needs TensorFlow: data, model, rules and the two trainers. It knows no study and no database."""
