# data: a dataset becomes one index (CSV) a split. The demo set is composed first.


rule fetch:
    output:
        sources="results/{experiment}/data/sources.json",
    log:
        "logs/{experiment}/data/fetch.log",
    benchmark:
        "results/{experiment}/benchmarks/data/fetch.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=30,
    params:
        settings=settings("data", only=["format", "classes", "demo.cache", "demo.packages"]),
        code=code_of("stages.data.fetch"),
    shell:
        "python -m stages.data.fetch --settings {params.settings:q} --output {output.sources} &> {log}"


rule compose:
    input:
        sources=rules.fetch.output.sources,
    output:
        set=directory("results/{experiment}/data/set"),
    log:
        "logs/{experiment}/data/compose.log",
    benchmark:
        "results/{experiment}/benchmarks/data/compose.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=0,
        mem_mb=4000,
        runtime=30,
    params:
        settings=settings("data", without=["captions", "shards", "voc", "demo.cache", "demo.packages"]),
        seed=experiment.seed,
        code=code_of("stages.data.compose"),
    shell:
        "python -m stages.data.compose --settings {params.settings:q} --seed {params.seed}"
        " --processes {threads} --sources {input.sources} --output {output.set} &> {log}"


rule list_classes:
    output:
        classes="results/{experiment}/data/classes.txt",
    log:
        "logs/{experiment}/data/classes.log",
    benchmark:
        "results/{experiment}/benchmarks/data/classes.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=1000,
        runtime=5,
    params:
        settings=settings("data", only=["format", "root", "classes"]),
        code=code_of("stages.data.list_classes"),
    shell:
        "python -m stages.data.list_classes --settings {params.settings:q} --output {output.classes} &> {log}"


rule make_index:
    input:
        **dataset(),
        lists=split_list,
        # Where it is missing, `make_index` says so in its own words.
        captions=[path for path in [experiment.data.captions] if path and path.is_file()],
    output:
        index="results/{experiment}/data/{split}.csv",
    log:
        "logs/{experiment}/data/index/{split}.log",
    benchmark:
        "results/{experiment}/benchmarks/data/index/{split}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=120,
    params:
        settings=settings("data", without=["shards", "demo"]),
        root=dataset_root,
        code=code_of("stages.data.make_index"),
    shell:
        "python -m stages.data.make_index --settings {params.settings:q} --split {wildcards.split}"
        " --root {params.root:q} --output {output.index} &> {log}"


rule draw_sheet:
    input:
        **dataset(),
        index=rules.make_index.output.index,
    output:
        sheet=report(
            "results/{experiment}/data/sheets/{split}.jpg",
            caption="../report/sheet.rst",
            category="Data",
            labels={"split": "{split}", "shows": "images, tags and true masks"},
        ),
    log:
        "logs/{experiment}/data/sheets/{split}.log",
    benchmark:
        "results/{experiment}/benchmarks/data/sheets/{split}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=30,
    params:
        settings=settings("data", without=["captions", "shards", "demo"]),
        root=dataset_root,
        code=code_of("stages.data.draw_sheet"),
    shell:
        "python -m stages.data.draw_sheet --settings {params.settings:q} --index {input.index}"
        " --root {params.root:q} --output {output.sheet} &> {log}"
